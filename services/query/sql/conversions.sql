-- The newest conversions of the period, as many as asked for.
SELECT {{template "conversion_columns.sql"}}
FROM journeys FINAL
-- The order's hash never changes, so the other rows may be left out before the newest version of each is chosen.
PREWHERE workspace = {workspace:String} AND order_hash IN (
    SELECT order_hash FROM journeys FINAL WHERE {{.Where}} ORDER BY time DESC, order_hash LIMIT {{.Limit}})
WHERE {{.Where}}
ORDER BY time DESC, order_hash
