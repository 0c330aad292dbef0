-- Every action that there is a conversion of.
SELECT DISTINCT toString(action) AS name FROM journeys WHERE workspace = {workspace:String} ORDER BY name
