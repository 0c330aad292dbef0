-- Median of the seconds from first eligible touch to conversion, by dimension.
SELECT {{.Dimensions}}, quantileExactLowArray(0.5)(convert_seconds)
FROM {{.ConversionHours}}
WHERE entry = 'conversion' AND {{.Scope}} AND {{.ActionScope}} AND notEmpty(convert_seconds)
GROUP BY {{.Names}}
