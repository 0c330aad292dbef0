-- Exposed people, and what they did, by dimension. The smaller side of each join is the one that is held in memory: what was
-- seen of one creator, else the links.
WITH {{template "links.sql" .}},
-- seen: the first exposure in the period of each entity, in Unix ms; {{.Never}} when it was exposed before the period only.
-- Times of a day after its first one matter where the period begins within the day.
seen AS (
    {{- if .ByDay}}
    SELECT {{.Key}} AS k, entity_hash, pseudo, min(toUnixTimestamp64Milli(at)) AS t0, max(click) AS clicked
    FROM (SELECT *, arrayJoin(arrayPushFront(later_times, first_time)) AS at FROM {{.Exposures}})
    WHERE at >= {{.From}} AND at < {{.To}}
    {{- else}}
    SELECT {{.Key}} AS k, entity_hash, pseudo, min(at) AS t0, max(click AND at != {{.Never}}) AS clicked
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
    GROUP BY k, entity_hash, pseudo
),
-- A pseudo-visitor whose click nobody adopted is nobody.
visitors AS (
    SELECT k, if(pseudo, clicks.t, entity_hash) AS visitor, t0, clicked
    FROM {{if .Broad}}seen LEFT JOIN clicks{{else}}clicks RIGHT JOIN seen{{end}} ON clicks.f = seen.entity_hash
    WHERE NOT pseudo OR clicks.f != toFixedString('', 16)
),
exposed AS (
    SELECT k, if(people.f != toFixedString('', 16), people.t, visitor) AS person, min(t0) AS first, max(clicked) AS clicked
    FROM {{if .Broad}}visitors LEFT JOIN people{{else}}people RIGHT JOIN visitors{{end}} ON people.f = visitors.visitor
    GROUP BY k, person
),
-- members: everybody whose conversions are the person's.
members AS (
    SELECT k, person, first, clicked, arrayJoin(if(people.f = toFixedString('', 16), [person], [person, people.f])) AS member
    FROM {{if .Broad}}exposed LEFT JOIN people{{else}}people RIGHT JOIN exposed{{end}} ON people.t = exposed.person
),
-- acts: conversions at any time: canonical, not excluded.
acts AS (
    SELECT {{if .ByAction}}bitShiftLeft(toUInt64(1), indexOf([{{.ActionList}}], toString(action)) - 1) AS bit, {{end}}person_hash, toUnixTimestamp64Milli(time) AS at, true AS is
    FROM journeys FINAL
    WHERE workspace = {workspace:String} AND status != 'excluded' AND person_kind != 'nobody'
        AND {{if .ByAction}}action IN ({{.ActionList}}){{else}}{{.ActionScope}}{{end}}
),
did AS (
    SELECT k, person, any(first) AS t0, max(clicked) AS clicked,
        {{- if .ByAction}}
        -- One bit for each action.
        groupBitOr(if(is AND at >= first AND at <= first + {{.Within}}, bit, 0)) AS inside,
        groupBitOr(if(is AND first != {{.Never}} AND at > first + {{.Within}}, bit, 0)) AS later,
        groupBitOr(if(is AND first != {{.Never}} AND at < first, bit, 0)) AS earlier,
        groupBitOr(if(is AND at >= {{.FromMs}} AND at < {{.ToMs}}, bit, 0)) AS known
        {{- else}}
        max(is AND at >= first AND at <= first + {{.Within}}) AS inside
        {{- end}}
    FROM {{if .Broad}}members LEFT JOIN acts{{else}}acts RIGHT JOIN members{{end}} ON acts.person_hash = members.member
    GROUP BY k, person
)
SELECT k, countIf(t0 != {{.Never}}), countIf(clicked AND t0 != {{.Never}}), countIf(t0 != {{.Never}} AND t0 + {{.Within}} > {{.Now}}),
    {{- if .ByAction}}
    -- By action: in the window, else later, else only before; and who acted in the period and had been exposed before its end.
    sumForEach(arrayMap(i -> toUInt64(bitTest(inside, i)), range({{.Actions}}))),
    sumForEach(arrayMap(i -> toUInt64(bitTest(bitAnd(later, bitNot(inside)), i)), range({{.Actions}}))),
    sumForEach(arrayMap(i -> toUInt64(bitTest(bitAnd(earlier, bitNot(bitOr(inside, later))), i)), range({{.Actions}}))),
    sumForEach(arrayMap(i -> toUInt64(bitTest(known, i)), range({{.Actions}})))
    {{- else}}
    countIf(inside AND t0 != {{.Never}})
    {{- end}}
FROM did
GROUP BY k
