-- Outcomes and credit in one reading, so that they add up. part: o for outcomes, by status and reason; r for credit of the
-- report's rows; x for credit outside the filter. With the median of the seconds from first eligible touch to conversion of
-- each row, over all currencies: those lines say 1 first.
SELECT {{if .Median}}toUInt64(grouping(currency)){{else}}toUInt64(0){{end}} AS all_currencies, part, {{.Names}}, currency, outcome, why,
    sum(conversions), sum(value_minor), {{if .Median}}quantileExactLowArray(0.5)(convert_seconds){{else}}toUInt32(0){{end}}
    {{- range .Models}}, sum(credit_{{.}}), sum(value_{{.}}){{end}}
FROM (
    SELECT multiIf(entry = 'outcome', 'o', {{.Scope}}, 'r', 'x') AS part,
        {{- range $name, $expression := .DimensionOf}}
        if(part = 'r', {{$expression}}, '') AS {{$name}},
        {{- end}}
        toString(currency) AS currency,
        if(part = 'o', toString(status), '') AS outcome,
        if(part = 'o', toString(reason), '') AS why,
        conversions, value_minor{{if .Median}}, convert_seconds{{end}}
        {{- range .Models}}, credit_{{.}}, value_{{.}}{{end}}
    FROM {{.ConversionHours}}
    WHERE {{.ActionScope}}
)
GROUP BY {{if .Median}}GROUPING SETS ((part, {{.Names}}, currency, outcome, why), (part, {{.Names}})){{else}}part, {{.Names}}, currency, outcome, why{{end}}
