-- People exposed in the period, those of them who clicked, and those whose window is still open.
WITH {{template "links.sql" .}},
{{template "exposed.sql" .}}
SELECT {{.Names}}, countIf(first != {{.Never}}), countIf(clicked AND first != {{.Never}}),
    countIf(first != {{.Never}} AND first + {{.Within}} > {{.Now}})
FROM exposed
GROUP BY {{.Names}}
