-- Changes whenever the links of the workspace's visitors change.
SELECT count(), sum(cityHash64(from_hash, to_hash)) FROM identities FINAL WHERE workspace = {workspace:String} AND NOT from_pseudo
