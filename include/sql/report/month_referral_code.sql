-- grain:  one row per referral code valid on any day of the month, or met in it
-- inputs: params, referral_code, core_measurement, commune, organisation
-- rule:   its latest holder up to the month's end, named as of that validity's end; a code in no registry has none
with
ordered as (
    select
        referral_code.*,
        case when referral_code.valid_to < params.last_day then referral_code.valid_to else params.last_day end as named_on,
        row_number() over (
            partition by referral_code.referral_code
            order by
                case when referral_code.valid_from <= params.last_day then 0 else 1 end,
                case when referral_code.valid_from <= params.last_day then referral_code.valid_from end desc,
                referral_code.valid_from
        ) as place
    from referral_code
    cross join params
),
latest as (
    select * from ordered where place = 1
),
met as (
    select distinct referral_code from core_measurement where referral_code is not null
),
listed as (
    select ordered.referral_code
    from ordered
    cross join params
    where ordered.valid_from <= params.last_day and ordered.valid_to >= params.first_day
    union
    select referral_code
    from met
),
named as (
    select
        listed.referral_code,
        latest.holder_kind,
        latest.holder_code,
        case latest.holder_kind when 'commune' then commune.full_name else organisation.organisation_name end as holder_name,
        row_number() over (
            partition by listed.referral_code order by coalesce(commune.valid_from, organisation.valid_from) desc
        ) as place
    from listed
    left join latest on latest.referral_code = listed.referral_code
    left join commune
        on latest.holder_kind = 'commune'
            and commune.commune_code = latest.holder_code
            and commune.valid_from <= latest.named_on
    left join organisation
        on latest.holder_kind = 'organisation'
            and organisation.organisation_code = latest.holder_code
            and organisation.valid_from <= latest.named_on
),
month_referral_code as (
    select referral_code, holder_kind, holder_code, holder_name from named where place = 1
)
select * from month_referral_code
