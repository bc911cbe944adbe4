-- grain:  one row per body that is asked for a return of the month
-- inputs: asked_kind, month_organisation, month_commune
-- rule:   organisations, and the People's Committees of communes, of the kinds that are asked; a code is one body's
with
body as (
    select organisation_code, organisation_name, organisation_kind, headcount as registry_headcount
    from month_organisation
    union all
    select
        month_commune.commune_code as organisation_code,
        'Ủy ban nhân dân ' || month_commune.kind || ' ' || month_commune.commune_name as organisation_name,
        'commune' as organisation_kind,
        cast(null as bigint) as registry_headcount
    from month_commune
    where not exists (
        select 1 from month_organisation where month_organisation.organisation_code = month_commune.commune_code
    )
),
asked as (
    select body.* from body inner join asked_kind on asked_kind.kind = body.organisation_kind
)
select * from asked
