-- grain:  one row per referral code valid on any day of the month, or met in it
-- inputs: params, referral_code, core_measurement, commune, organisation
-- rule:   its latest holder up to the month's end; a code that is in no registry has none
with
begun as (
    select
        referral_code.*,
        row_number() over (partition by referral_code.referral_code order by referral_code.valid_from desc) as place
    from referral_code
    cross join params
    where referral_code.valid_from <= params.last_day
),
met as (
    select distinct referral_code from core_measurement where referral_code is not null
),
listed as (
    select referral_code
    from begun
    cross join params
    where valid_to >= params.first_day
    union
    select referral_code
    from met
),
latest_commune as (
    select
        commune.*,
        row_number() over (partition by commune_code order by valid_from desc) as place
    from commune
    cross join params
    where commune.valid_from <= params.last_day
),
latest_organisation as (
    select
        organisation.*,
        row_number() over (partition by organisation_code order by valid_from desc) as place
    from organisation
    cross join params
    where organisation.valid_from <= params.last_day
),
month_referral_code as (
    select
        listed.referral_code,
        begun.holder_kind,
        begun.holder_code,
        case begun.holder_kind
            when 'commune' then latest_commune.full_name
            else latest_organisation.organisation_name
        end as holder_name
    from listed
    left join begun on begun.referral_code = listed.referral_code and begun.place = 1
    left join latest_commune
        on begun.holder_kind = 'commune'
            and latest_commune.commune_code = begun.holder_code
            and latest_commune.place = 1
    left join latest_organisation
        on begun.holder_kind = 'organisation'
            and latest_organisation.organisation_code = begun.holder_code
            and latest_organisation.place = 1
)
select * from month_referral_code
