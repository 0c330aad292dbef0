-- Derived tables: sums over the de-duplicated tables that reports read in place of the rows. Nothing is ever added to a
-- row: whole hours are made anew from facts and journeys and replace what was there, with zeros for what has vanished.
-- The version is a sum of offsets that only grows (dirty_hours), so the newest reading of the log wins in any order.
-- An hour is read from here when it is clean (derived_hours), else from the rows themselves.

-- fact_hours: events by quarter of an hour and dimension. Quarters, because there are time zones whose days begin at
-- 15, 30 or 45 minutes past an hour of UTC.
CREATE TABLE IF NOT EXISTS fact_hours {{.OnCluster}} (
    workspace           LowCardinality(String),
    -- Start of the quarter of an hour of the facts' time.
    slot                DateTime('UTC'),
    -- Partition of the facts.
    log_day             Date,
    campaign_id         LowCardinality(String),
    creator_id          LowCardinality(String),
    placement_id        LowCardinality(String),
    link_id             LowCardinality(String),
    kind                Enum8('unspecified' = 0, 'impression' = 1, 'engagement' = 2, 'visit' = 3, 'click' = 4, 'code' = 5,
                              'conversion' = 6, 'adjustment' = 7, 'identify' = 8, 'consent_change' = 9),
    version             UInt64,
    -- Distinct events, invalid traffic included.
    events              UInt64,
    -- Of them: invalid traffic.
    invalid             UInt64,
    -- Of the valid ones: viewable impressions, and those that expose a person.
    viewable            UInt64,
    exposing            UInt64,
    -- Further records with the id of an event.
    duplicates          UInt64,
    -- Events by flag.
    flags               Map(LowCardinality(String), UInt64)
)
ENGINE = {{.Replacing "version"}}
PARTITION BY toYYYYMM(slot)
ORDER BY (workspace, slot, log_day, campaign_id, creator_id, placement_id, link_id, kind)
SETTINGS {{.Durable}};

-- exposure_days: who was exposed by whom on a UTC day, and when first. A row without exposures has vanished.
CREATE TABLE IF NOT EXISTS exposure_days {{.OnCluster}} (
    workspace           LowCardinality(String),
    creator_id          LowCardinality(String),
    day                 Date,
    campaign_id         LowCardinality(String),
    placement_id        LowCardinality(String),
    link_id             LowCardinality(String),
    entity_hash         FixedString(16),
    -- Clicks have rows of their own.
    click               Bool,
    log_day             Date,
    version             UInt64,
    -- A pseudo-visitor is a person only through identities.
    pseudo              Bool,
    first_time          DateTime64(3, 'UTC'),
    -- The other exposures of the day, ascending: for periods that begin or end within the day.
    later_times         Array(DateTime64(3, 'UTC')),
    exposures           UInt32
)
ENGINE = {{.Replacing "version"}}
PARTITION BY toYYYYMM(day)
ORDER BY (workspace, creator_id, day, campaign_id, placement_id, link_id, entity_hash, click, log_day)
SETTINGS {{.Durable}};

-- conversion_hours: conversions and their credit by quarter of an hour. All entries of an hour are written as one part, so
-- a reader sees outcomes and credit of the same state: they add up.
CREATE TABLE IF NOT EXISTS conversion_hours {{.OnCluster}} (
    workspace           LowCardinality(String),
    -- outcome: conversions by status and reason. conversion: credit at the time of the conversion. touch: credit at the
    -- time of the touch.
    entry               Enum8('outcome' = 1, 'conversion' = 2, 'touch' = 3),
    slot                DateTime('UTC'),
    -- Hour of the conversion, also for entry touch: what is made anew together.
    hour                DateTime('UTC'),
    action              LowCardinality(String),
    currency            LowCardinality(String),
    status              Enum8('attributed' = 1, 'unattributed' = 2, 'excluded' = 3),
    reason              LowCardinality(String),
    campaign_id         LowCardinality(String),
    creator_id          LowCardinality(String),
    placement_id        LowCardinality(String),
    link_id             LowCardinality(String),
    version             UInt64,
    -- Of entry outcome.
    conversions         UInt64,
    value_minor         Int64,
    -- Of the entries conversion and touch: parts per 10^9 and minor units.
    credit_first_touch    UInt64,
    credit_last_touch     UInt64,
    credit_linear         UInt64,
    credit_position_based UInt64,
    credit_time_decay     UInt64,
    value_first_touch     Int64,
    value_last_touch      Int64,
    value_linear          Int64,
    value_position_based  Int64,
    value_time_decay      Int64,
    -- Of entry conversion: seconds from the first eligible touch to each conversion.
    convert_seconds     Array(UInt32)
)
ENGINE = {{.Replacing "version"}}
PARTITION BY toYYYYMM(hour)
ORDER BY (workspace, entry, slot, hour, action, currency, status, reason, campaign_id, creator_id, placement_id, link_id)
SETTINGS {{.Durable}};

-- fact_days and conversion_days: the same by UTC day, made from the rows by quarter: slot and hour are the day's start. A period's
-- full, clean days are read from here. There is no entry touch.
CREATE TABLE IF NOT EXISTS fact_days {{.OnCluster}} AS fact_hours
ENGINE = {{.Replacing "version"}}
PARTITION BY toYear(slot)
ORDER BY (workspace, slot, log_day, campaign_id, creator_id, placement_id, link_id, kind)
SETTINGS {{.Durable}};

CREATE TABLE IF NOT EXISTS conversion_days {{.OnCluster}} AS conversion_hours
ENGINE = {{.Replacing "version"}}
PARTITION BY toYear(hour)
ORDER BY (workspace, entry, slot, hour, action, currency, status, reason, campaign_id, creator_id, placement_id, link_id)
SETTINGS {{.Durable}};

-- derived_hours: the sum of the marks (dirty_hours.next_offset) that were there before an hour was last made anew. The
-- hour is clean while the sum of its marks is the same.
CREATE TABLE IF NOT EXISTS derived_hours {{.OnCluster}} (
    workspace           LowCardinality(String),
    source              Enum8('facts' = 1, 'journeys' = 2),
    log_day             Date,
    hour                DateTime('UTC'),
    marks               UInt64
)
ENGINE = {{.Replacing "marks"}}
PARTITION BY toYYYYMM(log_day)
ORDER BY (workspace, source, log_day, hour)
SETTINGS {{.Durable}};
