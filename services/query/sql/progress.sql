-- Progress of the newest epoch.
SELECT epoch, partition, next_offset, toUnixTimestamp64Milli(applied_time)
FROM progress FINAL
WHERE epoch = (SELECT max(epoch) FROM progress)
ORDER BY partition
