SELECT toUInt64(sum(newest))
FROM (
    SELECT max(next_offset) AS newest
    FROM dirty_hours
    WHERE workspace = {workspace:String} AND source = {source:String}
    GROUP BY log_day, hour, epoch, partition
)
