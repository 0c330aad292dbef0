-- Tables of the commit protocol. Every table is a ReplacingMergeTree that is read with FINAL: an identity in ORDER BY
-- that never changes, and a version that is a function of the log, so that writing a row again changes nothing.
-- Identities are 128-bit keyed hashes; the readable ids beside them can be blanked by an erasure.

-- facts: one row for each accepted event. The version prefers the smallest time of receipt, then the smallest payload
-- hash, then the newest change. log_day is the day of the first record with the identity and never changes, so FINAL
-- finds all versions of a row in one partition. LowCardinality is for columns that most rows fill: writing a part costs
-- more for a dictionary of nothing than for an empty String.
CREATE TABLE IF NOT EXISTS facts {{.OnCluster}} (
    workspace           LowCardinality(String),
    entity_hash         FixedString(16),
    event_hash          FixedString(16),
    log_day             Date,
    version             UInt128,

    kind                Enum8('unspecified' = 0, 'impression' = 1, 'engagement' = 2, 'visit' = 3, 'click' = 4, 'code' = 5,
                              'conversion' = 6, 'adjustment' = 7, 'identify' = 8, 'consent_change' = 9),
    time                DateTime64(3, 'UTC'),
    received_time       DateTime64(3, 'UTC'),
    event_time          DateTime64(3, 'UTC'),
    sent_time           DateTime64(3, 'UTC'),
    -- True when the event exposes a person to creator_id: valid, consented, and a click, visit, engagement or viewable
    -- impression, or an unmeasured one where the agreement counts those.
    exposes             Bool,
    -- True for invalid traffic, which is kept and counted gross.
    invalid             Bool,
    flags               Array(String),
    duplicates          UInt32,

    -- Address within the workspace, such as v:abc, and whether it is a pseudo-visitor, which is never a person.
    entity              String,
    entity_kind         Enum8('visitor' = 1, 'user' = 2, 'order' = 3),
    pseudo              Bool,
    event_id            String,
    visitor_id          String,
    user_key            String,
    consent             Enum8('unspecified' = 0, 'granted' = 1, 'denied' = 2),
    source              Enum8('unspecified' = 0, 'browser' = 1, 'server' = 2),

    agreement_id        LowCardinality(String),
    agreement_version   UInt32,
    campaign_id         LowCardinality(String),
    creator_id          LowCardinality(String),
    link_id             LowCardinality(String),
    placement_id        LowCardinality(String),
    channel             String,
    country             LowCardinality(String),
    device_class        LowCardinality(String),

    click_event_id      String,
    click_time          DateTime64(3, 'UTC'),
    click_link_id       String,
    click_visitor_id    String,

    page_url            String,
    referrer            String,
    properties          Map(String, String),
    share_parent        String,
    workspace_version   UInt32,

    viewability         Enum8('unmeasured' = 0, 'not_viewable' = 1, 'viewable' = 2),
    visible_ms          UInt32,
    session_start       Bool,
    engagement_type     String,
    engagement_reaction String,
    engagement_topic    String,

    -- Of conversions and adjustments.
    action              String,
    order_id            String,
    order_scope         String,
    value_minor         Int64,
    currency            String,
    evidence            Enum8('observed' = 0, 'declared' = 1),
    adjustment_id       String,
    adjustment_type     Enum8('unspecified' = 0, 'retract' = 1, 'refund' = 2, 'restate' = 3),
    adjusted_event_id   String,
    codes Nested (
        code              String,
        agreement_id      String,
        agreement_version UInt32,
        campaign_id       String,
        creator_id        String
    ),
    items Nested (
        item_id           String,
        quantity          Int64,
        value_minor       Int64
    ),

    payload_hash        UInt64,
    -- Offset, in the entity's partition, that last changed the row.
    changed_offset      Int64,
    -- Position of the record that made this version.
    epoch               UInt16,
    partition           Int32,
    cause_offset        Int64
)
ENGINE = {{.Replacing "version"}}
PARTITION BY log_day
ORDER BY (workspace, entity_hash, event_hash)
SETTINGS {{.Durable}};

-- fact_changes: versions of facts that were replaced, for reports as of an earlier time. Nothing writes it yet.
CREATE TABLE IF NOT EXISTS fact_changes {{.OnCluster}} AS facts
ENGINE = {{.Replacing "version"}}
PARTITION BY log_day
ORDER BY (workspace, entity_hash, event_hash, version)
SETTINGS {{.Durable}};

-- journeys: one row for each conversion, with the touches it saw and the credit of every model. Credits are parts per
-- 10^9; values are minor units of currency. Nothing that restates may be in ORDER BY or PARTITION BY; hence no partitions.
CREATE TABLE IF NOT EXISTS journeys {{.OnCluster}} (
    workspace           LowCardinality(String),
    order_hash          FixedString(16),
    version             UInt128,

    time                DateTime64(3, 'UTC'),
    received_time       DateTime64(3, 'UTC'),
    action              LowCardinality(String),
    status              Enum8('attributed' = 1, 'unattributed' = 2, 'excluded' = 3),
    -- Why it is unattributed or excluded; empty when attributed.
    reason              LowCardinality(String),
    value_minor         Int64,
    currency            LowCardinality(String),
    flags               Array(String),

    -- Whose conversion it is. person_hash is the hash of person, all zero for nobody; it equals facts.entity_hash.
    person_hash         FixedString(16),
    person_kind         Enum8('nobody' = 0, 'visitor' = 1, 'user' = 2),
    person              String,
    order               String,
    order_id            String,
    order_scope         String,
    event_id            String,
    visitor_id          String,
    user_key            String,
    click_event_id      String,
    unknown_codes       Array(String),
    records             UInt32,
    duplicates          UInt32,
    conflicting_value   UInt32,
    declared            Bool,
    server              Bool,

    -- Time of the first eligible touch; equal to time when there is none.
    first_touch_time    DateTime64(3, 'UTC'),
    eligible_touches    UInt16,

    -- Credit summed by campaign, creator, agreement, link, placement and channel: what reports read.
    credits Nested (
        campaign_id          LowCardinality(String),
        creator_id           LowCardinality(String),
        agreement_id         LowCardinality(String),
        link_id              LowCardinality(String),
        placement_id         LowCardinality(String),
        channel              LowCardinality(String),
        touches              UInt16,
        first_time           DateTime64(3, 'UTC'),
        credit_first_touch   UInt32,
        credit_last_touch    UInt32,
        credit_linear        UInt32,
        credit_position_based UInt32,
        credit_time_decay    UInt32,
        value_first_touch    Int64,
        value_last_touch     Int64,
        value_linear         Int64,
        value_position_based Int64,
        value_time_decay     Int64
    ),

    -- The touches in the order (time, received time, event id): all eligible ones, and the newest of the others.
    touches Nested (
        kind                 Enum8('unspecified' = 0, 'impression' = 1, 'engagement' = 2, 'visit' = 3, 'click' = 4, 'code' = 5),
        time                 DateTime64(3, 'UTC'),
        received_time        DateTime64(3, 'UTC'),
        creator_id           LowCardinality(String),
        campaign_id          LowCardinality(String),
        agreement_id         LowCardinality(String),
        agreement_version    UInt32,
        link_id              LowCardinality(String),
        placement_id         LowCardinality(String),
        channel              LowCardinality(String),
        entity_hash          FixedString(16),
        event_id             String,
        eligible             Bool,
        reason               LowCardinality(String),
        credit_first_touch   UInt32,
        credit_last_touch    UInt32,
        credit_linear        UInt32,
        credit_position_based UInt32,
        credit_time_decay    UInt32,
        value_first_touch    Int64,
        value_last_touch     Int64,
        value_linear         Int64,
        value_position_based Int64,
        value_time_decay     Int64
    ),
    -- Touches that are not listed, by reason.
    omitted             Map(String, UInt32),

    -- What made this version, such as new or late_touch, and by which rules.
    cause               LowCardinality(String),
    rules_version       UInt16,
    -- Position, in the order's partition, that last changed the canonical conversion.
    order_epoch         UInt16,
    order_partition     Int32,
    order_offset        Int64,
    -- Position of the causing record, in the person's partition.
    epoch               UInt16,
    partition           Int32,
    cause_offset        Int64
)
ENGINE = {{.Replacing "version"}}
ORDER BY (workspace, order_hash)
SETTINGS {{.Durable}};

-- journey_changes: every version of every journey. A journey's revision is the rank of its version here.
CREATE TABLE IF NOT EXISTS journey_changes {{.OnCluster}} AS journeys
ENGINE = {{.Replacing "version"}}
ORDER BY (workspace, order_hash, version)
SETTINGS {{.Durable}};

-- identities: a visitor, or a click's pseudo-visitor, is linked to a user or another visitor. Links are a set. The hashes
-- equal facts.entity_hash; the version prefers the first record that made the link.
CREATE TABLE IF NOT EXISTS identities {{.OnCluster}} (
    workspace           LowCardinality(String),
    from_hash           FixedString(16),
    to_hash             FixedString(16),
    version             UInt64,
    from_entity         String,
    from_kind           Enum8('visitor' = 1, 'user' = 2, 'order' = 3),
    from_pseudo         Bool,
    to_entity           String,
    to_kind             Enum8('visitor' = 1, 'user' = 2, 'order' = 3),
    epoch               UInt16,
    partition           Int32,
    cause_offset        Int64
)
ENGINE = {{.Replacing "version"}}
ORDER BY (workspace, from_hash, to_hash)
SETTINGS {{.Durable}};

-- refusals: what each run of a collector refused, by hour; the newest count of a run wins.
CREATE TABLE IF NOT EXISTS refusals {{.OnCluster}} (
    workspace           LowCardinality(String),
    hour                DateTime('UTC'),
    run_id              String,
    transport           LowCardinality(String),
    reason              LowCardinality(String),
    key_id              LowCardinality(String),
    version             UInt64,
    count               Int64,
    epoch               UInt16,
    partition           Int32,
    cause_offset        Int64
)
ENGINE = {{.Replacing "version"}}
PARTITION BY toYYYYMM(hour)
ORDER BY (workspace, hour, run_id, transport, reason, key_id)
SETTINGS {{.Durable}};

-- dirty_hours: which hours of which rows changed, up to which offset of which partition (next_offset, exclusive). Written
-- after the rows and before progress, so whoever sees a mark sees the rows. source says which table changed: for facts,
-- log_day is the partition of the rows and hour the hour of their time; for journeys log_day is the day of hour.
CREATE TABLE IF NOT EXISTS dirty_hours {{.OnCluster}} (
    workspace           LowCardinality(String),
    source              Enum8('facts' = 1, 'journeys' = 2),
    log_day             Date,
    hour                DateTime('UTC'),
    epoch               UInt16,
    partition           Int32,
    next_offset         Int64,
    version             UInt64
)
ENGINE = {{.Replacing "version"}}
PARTITION BY toYYYYMM(log_day)
ORDER BY (workspace, source, log_day, hour, epoch, partition)
SETTINGS {{.Durable}};

-- progress: how far each partition of the log has been applied and written.
CREATE TABLE IF NOT EXISTS progress {{.OnCluster}} (
    epoch               UInt16,
    partition           Int32,
    next_offset         Int64,
    -- Timestamp of the newest record applied.
    applied_time        DateTime64(3, 'UTC'),
    version             UInt64
)
ENGINE = {{.Replacing "version"}}
ORDER BY (epoch, partition)
SETTINGS {{.Durable}};
