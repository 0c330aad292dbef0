package query

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	aftertouchv1 "github.com/aftertouch-io/aftertouch/api/aftertouch/v1"
)

// dataVersion reads how far the newest epoch's partitions have been applied. Read it before the figures: they hold at least
// that much.
func (s *Service) dataVersion(ctx context.Context) (*aftertouchv1.DataVersion, []partitionProgress, error) {
	v := &aftertouchv1.DataVersion{Offsets: map[int32]int64{}}
	var progress []partitionProgress
	err := s.each(ctx, "progress", statement("progress.sql", nil), func(rows driver.Rows) error {
		var (
			epoch uint16
			p     partitionProgress
		)
		if err := rows.Scan(&epoch, &p.partition, &p.next, &p.appliedMs); err != nil {
			return err
		}
		v.Epoch = uint32(epoch)
		v.Offsets[p.partition] = p.next
		progress = append(progress, p)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the data version: %w", err)
	}
	return v, progress, nil
}

// partitionProgress says how far one partition has been applied.
type partitionProgress struct {
	partition       int32
	next, appliedMs int64
}
