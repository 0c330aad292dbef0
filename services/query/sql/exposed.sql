-- exposed: each person's first exposure in the period, t0 in Unix ms, by dimension; t0 is {{.Never}} for people who
-- were exposed before the period only. Times of a day after its first one matter where the period begins within the day.
observed AS (
    {{- if .ByDay}}
    SELECT {{.Dimensions}}, entity_hash, pseudo, min(toUnixTimestamp64Milli(at)) AS t0, max(click) AS clicked
    FROM (SELECT *, arrayJoin(arrayPushFront(later_times, first_time)) AS at FROM {{.Exposures}})
    WHERE at >= {{.From}} AND at < {{.To}}
    {{- else}}
    SELECT {{.Dimensions}}, entity_hash, pseudo, min(at) AS t0, max(click AND at != {{.Never}}) AS clicked
    FROM (
        SELECT *, multiIf(
                first_time >= {{.To}}, {{.Never}},
                first_time >= {{.From}}, toUnixTimestamp64Milli(first_time),
                arrayFirst(x -> x >= {{.From}}, later_times) AS next >= {{.From}} AND next < {{.To}}, toUnixTimestamp64Milli(next),
                {{.Never}}) AS at
        FROM {{.Exposures}}
    )
    WHERE first_time < {{.To}}
    {{- end}}
    GROUP BY {{.Names}}, entity_hash, pseudo
),
exposed AS (
    SELECT {{.Names}}, if(people.f != toFixedString('', 16), people.t, entity_hash) AS person, min(t0) AS first, max(clicked) AS clicked
    FROM observed LEFT JOIN people ON entity_hash = people.f
    -- A pseudo-visitor that is linked to nothing is nobody.
    WHERE NOT pseudo OR people.f != toFixedString('', 16)
    GROUP BY {{.Names}}, person
)
