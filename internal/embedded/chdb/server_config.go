package chdb

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strconv"
)

// serverConfig is the engine's own configuration file. fsync of parts and directories is the default for every MergeTree table, so that an
// acknowledged insert survives a crash of the machine, whatever the table's definition says.
func (c Config) serverConfig() []byte {
	memory := c.maxMemory()
	var b bytes.Buffer
	b.WriteString("<clickhouse>\n")
	for _, kv := range [][2]string{
		{"max_server_memory_usage", strconv.FormatInt(memory, 10)},
		{"mark_cache_size", strconv.FormatInt(memory/16, 10)},
		{"primary_index_cache_size", strconv.FormatInt(memory/16, 10)},
		{"logger/level", c.LogLevel},
		{"merge_tree/fsync_after_insert", "1"},
		{"merge_tree/fsync_part_directory", "1"},
	} {
		writeElement(&b, kv[0], kv[1])
	}
	b.WriteString("</clickhouse>\n")
	return b.Bytes()
}

// writeElement writes value below one or two nested element names.
func writeElement(b *bytes.Buffer, name, value string) {
	outer, inner, nested := bytes.Cut([]byte(name), []byte("/"))
	fmt.Fprintf(b, "<%s>", outer)
	if nested {
		fmt.Fprintf(b, "<%s>", inner)
	}
	_ = xml.EscapeText(b, []byte(value)) // a bytes.Buffer does not fail
	if nested {
		fmt.Fprintf(b, "</%s>", inner)
	}
	fmt.Fprintf(b, "</%s>\n", outer)
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
