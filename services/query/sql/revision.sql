-- Rank of a version among all versions of its journey.
SELECT uniqExact(version)
FROM journey_changes
WHERE workspace = {workspace:String} AND order_hash = unhex({order:String}) AND version <= toUInt128({version:String})
