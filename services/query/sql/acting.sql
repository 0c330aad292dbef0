-- People who acted in the period, by action.
WITH {{template "links.sql" .}}
SELECT act, uniqExact(if(people.f != toFixedString('', 16), people.t, person_hash))
FROM (
    SELECT toString(action) AS act, person_hash
    FROM journeys FINAL
    WHERE workspace = {workspace:String} AND status != 'excluded' AND person_kind != 'nobody' AND {{.ActionScope}}
        AND time >= {{.From}} AND time < {{.To}}
) AS j LEFT JOIN people ON person_hash = people.f
GROUP BY act
