-- grain:  one row per network and organisation valid in the month
-- inputs: params, month_organisation, cell_figure, cell_mix
-- rule:   figures within the measurements made with the organisation's codes; devices ÷ headcount is the most of its staff that can have measured
with
report as (
    select
        params.first_day as month,
        month_organisation.organisation_code,
        month_organisation.organisation_name,
        month_organisation.organisation_kind,
        month_organisation.headcount,
        case
            when month_organisation.headcount > 0
                then cast(round(
                    cast(cast(cell_figure.n_measurements as double) / month_organisation.headcount as decimal(18, 6)), 2
                ) as double)
        end as n_measurements_per_head,
        case
            when month_organisation.headcount > 0
                then least(cast(cell_figure.n_devices as double) / month_organisation.headcount, 1)
        end as staff_share_at_most,
        cell_figure.*,
        cell_mix.technology_mix,
        cell_mix.top_operator,
        cell_mix.top_operator_share
    from cell_figure
    inner join month_organisation on month_organisation.organisation_code = cell_figure.cell_key
    cross join params
    left join cell_mix using (cell, network, cell_key, cell_subkey)
    where cell_figure.cell = 'organisation'
)
select * from report
