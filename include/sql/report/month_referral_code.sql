-- grain:  one row per referral code valid on any day of the month, or met in it
-- inputs: params, referral_code, core_measurement, commune, organisation
-- rule:   its latest holder up to the month's end, named as of that validity's end, from which day on where another
--         one held it before within the month, and up to which day where it ended; a code in no registry has none
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
        ordered.*,
        case ordered.holder_kind when 'commune' then commune.full_name else organisation.organisation_name end as holder_name,
        row_number() over (
            partition by ordered.referral_code, ordered.place
            order by coalesce(commune.valid_from, organisation.valid_from) desc
        ) as name_place
    from ordered
    left join commune
        on ordered.holder_kind = 'commune'
            and commune.commune_code = ordered.holder_code
            and commune.valid_from <= ordered.named_on
    left join organisation
        on ordered.holder_kind = 'organisation'
            and organisation.organisation_code = ordered.holder_code
            and organisation.valid_from <= ordered.named_on
    where ordered.place <= 2
),
latest as (
    select * from named where place = 1 and name_place = 1
),
earlier as (
    select named.*
    from named
    cross join params
    where named.place = 2
        and named.name_place = 1
        and named.valid_from <= params.last_day
        and named.valid_to >= params.first_day
),
month_referral_code as (
    select
        listed.referral_code,
        latest.holder_kind,
        latest.holder_code,
        latest.holder_name,
        case when earlier.holder_code is not null then latest.valid_from end as holder_since,
        earlier.holder_name as earlier_holder_name,
        case when latest.valid_to < params.last_day then latest.valid_to end as holder_until
    from listed
    cross join params
    left join latest on latest.referral_code = listed.referral_code
    left join earlier
        on earlier.referral_code = latest.referral_code
            and (earlier.holder_kind <> latest.holder_kind or earlier.holder_code <> latest.holder_code)
)
select * from month_referral_code
