-- people: whom visitors lead to, links followed to the end (X4). Visitors who lead to each other are one: the first of them
-- stands for all. clicks: the visitors who adopted a redirect's click; nothing leads to a click, so they are apart.
links AS (
    {{- if .Members}}
    SELECT DISTINCT
        toFixedString(unhex(transform(hex(from_hash), [{{.Members}}], [{{.Stands}}])), 16) AS f,
        toFixedString(unhex(transform(hex(to_hash), [{{.Members}}], [{{.Stands}}])), 16) AS t
    FROM identities FINAL
    WHERE workspace = {workspace:String} AND NOT from_pseudo AND f != t
    UNION ALL
    SELECT toFixedString(unhex(pair.1), 16), toFixedString(unhex(pair.2), 16)
    FROM (SELECT arrayJoin(arrayZip([{{.Members}}], [{{.Stands}}])) AS pair)
    WHERE pair.1 != pair.2
    {{- else}}
    SELECT from_hash AS f, to_hash AS t FROM identities FINAL WHERE workspace = {workspace:String} AND NOT from_pseudo AND f != t
    {{- end}}
),
step0 AS (SELECT f, t FROM links),
{{- range .Steps}}
step{{.To}} AS (
    SELECT a.f AS f, if(b.f != toFixedString('', 16), b.t, a.t) AS t
    FROM step{{.From}} AS a LEFT JOIN links AS b ON a.t = b.f
),
{{- end}}
people AS (SELECT f, t FROM step{{.Last}}),
clicks AS (SELECT from_hash AS f, to_hash AS t FROM identities FINAL WHERE workspace = {workspace:String} AND from_pseudo)
