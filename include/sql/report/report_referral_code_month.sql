-- grain:  one row per network and referral code valid or met in the month
-- inputs: params, month_referral_code, cell_figure, cell_mix
-- rule:   Phụ lục II: figures within the code's own measurements
with
report as (
    select
        params.first_day as month,
        month_referral_code.referral_code,
        month_referral_code.holder_kind,
        month_referral_code.holder_code,
        month_referral_code.holder_name,
        cell_figure.*,
        cell_mix.technology_mix,
        cell_mix.top_operator,
        cell_mix.top_operator_share
    from cell_figure
    inner join month_referral_code on month_referral_code.referral_code = cell_figure.cell_key
    cross join params
    left join cell_mix using (cell, network, cell_key, cell_subkey)
    where cell_figure.cell = 'referral_code'
)
select * from report
