-- Marks of every hour that was written to.
INSERT INTO dirty_hours (workspace, source, log_day, hour, epoch, partition, next_offset, version)
SELECT 'shop', 'facts', log_day, toStartOfHour(time) AS hour, 1, 0, 1000, 1000 FROM facts GROUP BY log_day, hour
UNION ALL
SELECT 'shop', 'journeys', toDate(time) AS day, toStartOfHour(time) AS hour, 1, 0, 1000, 1000 FROM journeys GROUP BY day, hour
