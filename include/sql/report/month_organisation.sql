-- grain:  one row per organisation valid on any day of the month, or met in it as the holder of a code
-- inputs: params, organisation, core_measurement
-- rule:   its name and headcount as of its latest validity up to the month's end
with
begun as (
    select
        organisation.*,
        row_number() over (partition by organisation_code order by valid_from desc) as place
    from organisation
    cross join params
    where organisation.valid_from <= params.last_day
),
met as (
    select distinct holder_code from core_measurement where holder_kind = 'organisation'
),
month_organisation as (
    select begun.*
    from begun
    cross join params
    where begun.place = 1
        and (begun.valid_to >= params.first_day or begun.organisation_code in (select holder_code from met))
)
select * from month_organisation
