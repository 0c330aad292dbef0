SELECT count() FROM journeys FINAL WHERE {{.Where}}
