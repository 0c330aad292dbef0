-- Views for analysts. Their names and columns are stable: later versions add columns at the end and take none away.
-- They read de-duplicated rows, so sums over them are right at any time. docs/sql.md describes them.

-- v_conversions: one row for each conversion.
CREATE OR REPLACE VIEW v_conversions {{.OnCluster}} AS
SELECT
    workspace, time, action, order_id, order_scope, event_id,
    value_minor, currency, status, reason,
    person_kind, person, visitor_id, user_key,
    first_touch_time, eligible_touches, length(touches.kind) + arraySum(mapValues(omitted)) AS touches,
    dateDiff('second', first_touch_time, time) AS seconds_to_convert,
    flags, records, duplicates, conflicting_value, declared, server, received_time, cause,
    lower(hex(order_hash)) AS conversion, epoch, partition, cause_offset
FROM journeys FINAL;

-- v_credits: one row for each conversion, model, and campaign, creator, agreement, link, placement and channel that the model
-- credits. For one model and one attributed conversion the credits add up to 1 and the values to the conversion's value.
CREATE OR REPLACE VIEW v_credits {{.OnCluster}} AS
SELECT
    workspace, time, action, order_id, order_scope, event_id, currency,
    model, campaign_id, creator_id, agreement_id, link_id, placement_id, channel,
    touches, first_time AS first_touch_time,
    toDecimal64(parts, 9) / 1000000000 AS credit, value AS value_minor,
    lower(hex(order_hash)) AS conversion
FROM (
    SELECT
        workspace, time, action, order_id, order_scope, event_id, currency, order_hash,
        campaign_id, creator_id, agreement_id, link_id, placement_id, channel, touches, first_time,
        shares.1 AS model, shares.2 AS parts, shares.3 AS value
    FROM (
        SELECT
            workspace, time, action, order_id, order_scope, event_id, currency, order_hash,
            campaign_id, creator_id, agreement_id, link_id, placement_id, channel, touches, first_time,
            [
                ('first_touch', c1, v1), ('last_touch', c2, v2), ('linear', c3, v3), ('position_based', c4, v4), ('time_decay', c5, v5)
            ] AS all_shares
        FROM journeys FINAL
        ARRAY JOIN
            credits.campaign_id AS campaign_id, credits.creator_id AS creator_id, credits.agreement_id AS agreement_id,
            credits.link_id AS link_id, credits.placement_id AS placement_id, credits.channel AS channel,
            credits.touches AS touches, credits.first_time AS first_time,
            credits.credit_first_touch AS c1, credits.credit_last_touch AS c2, credits.credit_linear AS c3,
            credits.credit_position_based AS c4, credits.credit_time_decay AS c5,
            credits.value_first_touch AS v1, credits.value_last_touch AS v2, credits.value_linear AS v3,
            credits.value_position_based AS v4, credits.value_time_decay AS v5
    )
    ARRAY JOIN all_shares AS shares
)
WHERE parts > 0;

-- v_touches: one row for each touch event, whether or not a conversion followed.
CREATE OR REPLACE VIEW v_touches {{.OnCluster}} AS
SELECT
    workspace, time, kind, event_id, entity_kind, entity, pseudo, visitor_id, user_key,
    campaign_id, creator_id, agreement_id, agreement_version, link_id, placement_id, channel,
    exposes, invalid, flags, duplicates, viewability, visible_ms, session_start,
    engagement_type, engagement_reaction, engagement_topic,
    page_url, referrer, properties, country, device_class, consent, source, received_time,
    lower(hex(entity_hash)) AS person_key, epoch, partition, cause_offset
FROM facts FINAL
WHERE kind IN ('impression', 'engagement', 'visit', 'click');

-- v_exposure: one row for each event that exposed somebody to a creator, whether or not it may earn credit.
CREATE OR REPLACE VIEW v_exposure {{.OnCluster}} AS
SELECT
    workspace, time, creator_id, campaign_id, agreement_id, link_id, placement_id, kind,
    entity_kind, entity, pseudo, event_id,
    lower(hex(entity_hash)) AS person_key
FROM facts FINAL
WHERE exposes;

-- v_journeys: one row for each conversion and touch that it saw, eligible or with the reason why not: a receipt's lines.
CREATE OR REPLACE VIEW v_journeys {{.OnCluster}} AS
SELECT
    workspace, time, action, order_id, order_scope, event_id, status,
    touch_time, touch_kind, touch_event_id, campaign_id, creator_id, agreement_id, agreement_version, link_id, placement_id, channel,
    eligible, touch_reason,
    toDecimal64(c1, 9) / 1000000000 AS first_touch, toDecimal64(c2, 9) / 1000000000 AS last_touch,
    toDecimal64(c3, 9) / 1000000000 AS linear, toDecimal64(c4, 9) / 1000000000 AS position_based,
    toDecimal64(c5, 9) / 1000000000 AS time_decay,
    lower(hex(order_hash)) AS conversion, lower(hex(touch_entity)) AS touch_person_key
FROM journeys FINAL
ARRAY JOIN
    touches.time AS touch_time, touches.kind AS touch_kind, touches.event_id AS touch_event_id,
    touches.campaign_id AS campaign_id, touches.creator_id AS creator_id, touches.agreement_id AS agreement_id,
    touches.agreement_version AS agreement_version, touches.link_id AS link_id, touches.placement_id AS placement_id,
    touches.channel AS channel, touches.eligible AS eligible, touches.reason AS touch_reason,
    touches.credit_first_touch AS c1, touches.credit_last_touch AS c2, touches.credit_linear AS c3,
    touches.credit_position_based AS c4, touches.credit_time_decay AS c5, touches.entity_hash AS touch_entity;

-- v_identities: who is linked to whom. A person is a user, or a visitor that is linked to nothing.
CREATE OR REPLACE VIEW v_identities {{.OnCluster}} AS
SELECT
    workspace, from_kind, from_entity, from_pseudo, to_kind, to_entity,
    lower(hex(from_hash)) AS from_key, lower(hex(to_hash)) AS to_key
FROM identities FINAL;
