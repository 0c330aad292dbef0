package chdb

import (
	"fmt"
	"strconv"
)

// serverConfig is the engine's own configuration file. fsync of parts and directories is the default for every MergeTree table, so that an
// acknowledged insert survives a crash of the machine, whatever the table's definition says. On a full disk inserts and merges are refused
// before a write can fail: the engine was seen to put parts into place whose files were empty for want of space.
func (c Config) serverConfig() []byte {
	memory := c.maxMemory()
	return fmt.Appendf(nil, `<clickhouse>
	<max_server_memory_usage>%d</max_server_memory_usage>
	<mark_cache_size>%d</mark_cache_size>
	<primary_index_cache_size>%d</primary_index_cache_size>
	<logger><level>%s</level></logger>
	<merge_tree>
		<fsync_after_insert>1</fsync_after_insert>
		<fsync_part_directory>1</fsync_part_directory>
	</merge_tree>
	<storage_configuration><disks><default><keep_free_space_bytes>%d</keep_free_space_bytes></default></disks></storage_configuration>
</clickhouse>
`, memory, memory/16, memory/16, c.LogLevel, c.KeepFree)
}

// sessionSettings are set for every statement, before the caller's own.
func (c Config) sessionSettings() map[string]string {
	query := c.maxQueryMemory()
	return map[string]string{
		"max_threads":                        strconv.Itoa(c.MaxThreads),
		"max_memory_usage":                   strconv.FormatInt(query, 10),
		"max_bytes_before_external_group_by": strconv.FormatInt(query/2, 10),
		"max_bytes_before_external_sort":     strconv.FormatInt(query/2, 10),
		"implicit_select":                    "0", // a server's default; the embedded engine would take "foo" for SELECT foo
	}
}

func (c Config) maxMemory() int64 {
	if c.MaxMemory > 0 {
		return c.MaxMemory
	}
	return max(minMemory, machineMemory()/2)
}

func (c Config) maxQueryMemory() int64 {
	if c.MaxQueryMemory > 0 {
		return c.MaxQueryMemory
	}
	return c.maxMemory() / 2
}
