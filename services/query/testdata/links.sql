-- Every click is adopted by a visitor, and a fifth of the visitors is somebody's.
INSERT INTO identities (workspace, from_hash, to_hash, version, from_entity, from_kind, from_pseudo, to_entity, to_kind, epoch, partition, cause_offset)
SELECT 'shop', sipHash128(f), sipHash128(t), 1, f, 'visitor', startsWith(f, 'v:~'), t, if(startsWith(t, 'u'), 'user', 'visitor'), 1, 0, number
FROM (
    SELECT number, concat('v:~c/', toString(number)) AS f, concat('v:', toString(toUInt32({visitors:UInt64} * pow(cityHash64(number, 1) % 1000003 / 1000003., 1.5)))) AS t
    FROM numbers({facts:UInt64}) WHERE cityHash64(number) % 100 < 4
    UNION ALL
    SELECT number, concat('v:', toString(number * 5)), concat('u:', toString(intDiv(number, 2))) FROM numbers(intDiv({visitors:UInt64}, 5))
)
