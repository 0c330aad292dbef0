-- Links whose target leads on to somebody who leads on: what is more than two links from a person, and every circle.
WITH
    onward AS (
        SELECT from_hash, to_hash FROM identities FINAL
        WHERE workspace = {workspace:String} AND from_hash != to_hash
            AND to_hash IN (SELECT from_hash FROM identities WHERE workspace = {workspace:String} AND from_hash != to_hash)
    )
SELECT hex(from_hash), hex(to_hash) FROM onward WHERE to_hash IN (SELECT from_hash FROM onward)
UNION ALL
-- One row of blanks says that there are links of two steps.
SELECT '', '' WHERE EXISTS (SELECT 1 FROM onward)
