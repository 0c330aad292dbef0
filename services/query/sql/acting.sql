-- People who acted in the period, and all actions that there are.
WITH {{template "links.sql" .}},
{{template "acts.sql" .}}
SELECT act, uniqExactIf(person, at >= {{.FromMs}} AND at < {{.ToMs}})
FROM acts
GROUP BY act
