-- acts: the conversions of people, at any time: canonical, not excluded.
acts AS (
    SELECT {{.Act}} AS act, if(people.f != toFixedString('', 16), people.t, person_hash) AS person, at
    FROM (
        SELECT toString(action) AS action, person_hash, toUnixTimestamp64Milli(time) AS at
        FROM journeys FINAL
        WHERE workspace = {workspace:String} AND status != 'excluded' AND person_kind != 'nobody' AND {{.ActionScope}}
    ) AS j LEFT JOIN people ON person_hash = people.f
)
