-- Links of visitors whose target leads on to somebody who leads on: what is more than two links from a person, and circles.
WITH
    visitors AS (SELECT from_hash, to_hash FROM identities FINAL WHERE workspace = {workspace:String} AND NOT from_pseudo AND from_hash != to_hash),
    onward AS (SELECT from_hash, to_hash FROM visitors WHERE to_hash IN (SELECT from_hash FROM visitors))
SELECT hex(from_hash), hex(to_hash) FROM onward WHERE to_hash IN (SELECT from_hash FROM onward)
UNION ALL
-- One row of blanks says that there are links of two steps.
SELECT '', '' WHERE EXISTS (SELECT 1 FROM onward)
