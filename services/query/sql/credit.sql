-- Outcomes and credit in one reading, so that they add up. part: o for outcomes, by status and reason; r for credit of the
-- report's rows; x for credit outside the filter.
SELECT part, {{.Names}}, currency, outcome, why,
    sum(conversions), sum(value_minor)
    {{- range .Models}}, sum(credit_{{.}}), sum(value_{{.}}){{end}}
FROM (
    SELECT multiIf(entry = 'outcome', 'o', {{.Scope}}, 'r', 'x') AS part,
        {{- range $name, $expression := .DimensionOf}}
        if(part = 'r', {{$expression}}, '') AS {{$name}},
        {{- end}}
        toString(currency) AS currency,
        if(part = 'o', toString(status), '') AS outcome,
        if(part = 'o', toString(reason), '') AS why,
        conversions, value_minor
        {{- range .Models}}, credit_{{.}}, value_{{.}}{{end}}
    FROM {{.ConversionHours}}
    WHERE {{.ActionScope}}
)
GROUP BY part, {{.Names}}, currency, outcome, why
