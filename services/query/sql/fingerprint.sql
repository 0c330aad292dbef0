-- Changes whenever the links of the workspace change.
SELECT count(), sum(cityHash64(from_hash, to_hash)) FROM identities FINAL WHERE workspace = {workspace:String}
