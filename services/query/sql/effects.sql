-- What exposed people did: acted in the window, else later, else only before. known are those who acted in the period and
-- had been exposed before its end.
WITH {{template "links.sql" .}},
{{template "exposed.sql" .}},
{{template "acts.sql" .}}
SELECT {{.Names}}, act, countIf(inside), countIf(NOT inside AND later), countIf(NOT inside AND NOT later AND earlier), countIf(known)
FROM (
    SELECT {{.Names}}, act, person,
        max(first != {{.Never}} AND at >= first AND at <= first + {{.Within}}) AS inside,
        max(first != {{.Never}} AND at > first + {{.Within}}) AS later,
        max(first != {{.Never}} AND at < first) AS earlier,
        max(at >= {{.FromMs}} AND at < {{.ToMs}}) AS known
    FROM acts INNER JOIN exposed ON acts.person = exposed.person
    GROUP BY {{.Names}}, act, person
)
GROUP BY {{.Names}}, act
