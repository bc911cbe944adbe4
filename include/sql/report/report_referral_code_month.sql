-- grain:  one row per network and referral code valid or met in the month
-- inputs: params, core_measurement, month_referral_code, cell_figure, cell_mix
-- rule:   Phụ lục II: figures within the code's own measurements; where the code was handed on within the month, how
--         many of them were made before that
with
earlier as (
    select core_measurement.network, core_measurement.referral_code, count(*) as n_measurements
    from core_measurement
    inner join month_referral_code on month_referral_code.referral_code = core_measurement.referral_code
    where core_measurement.measured_on < month_referral_code.holder_since
    group by core_measurement.network, core_measurement.referral_code
),
report as (
    select
        params.first_day as month,
        month_referral_code.referral_code,
        month_referral_code.holder_kind,
        month_referral_code.holder_code,
        month_referral_code.holder_name,
        month_referral_code.holder_since,
        month_referral_code.earlier_holder_name,
        case
            when month_referral_code.holder_since is not null then coalesce(earlier.n_measurements, 0)
        end as n_measurements_earlier,
        month_referral_code.holder_until,
        cell_figure.*,
        cell_mix.technology_mix,
        cell_mix.top_operator,
        cell_mix.top_operator_share
    from cell_figure
    inner join month_referral_code on month_referral_code.referral_code = cell_figure.cell_key
    cross join params
    left join cell_mix using (cell, network, cell_key, cell_subkey)
    left join earlier
        on earlier.network = cell_figure.network and earlier.referral_code = month_referral_code.referral_code
    where cell_figure.cell = 'referral_code'
)
select * from report
