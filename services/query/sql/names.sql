-- The dimensions that the keys of people.sql stand for.
SELECT DISTINCT {{.Key}}, {{.Dimensions}} FROM {{.Exposures}}
