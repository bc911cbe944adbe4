-- grain:  one row per referral code with enough measurements, and indicator
-- inputs: integrity_code, integrity_people, integrity_time, integrity_place, integrity_result
-- rule:   a share is hits of cases; a mean is tests a sample, or samples a device
with
family as (
    select * from integrity_people
    union all
    select * from integrity_time
    union all
    select * from integrity_place
    union all
    select * from integrity_result
),
evidence as (
    select family.*
    from family
    inner join integrity_code on integrity_code.referral_code = family.referral_code
    where family.n_cases > 0
)
select * from evidence
