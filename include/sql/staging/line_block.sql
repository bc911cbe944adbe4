-- grain:  one row per 64 places of a csv's records, in which each line is a record
-- inputs: skipped_line (place of the record behind each line that is none: rejected or empty); bound: n_blocks
-- rule:   how many such lines stand before the first of its places, and behind which of them others stand
with
counted as (
    select place >> 6 as block, count(*) as n_lines, list(place) as places
    from skipped_line
    group by place >> 6
),
block as (
    select
        range as block,
        cast(coalesce(sum(n_lines) over (order by range rows between unbounded preceding and 1 preceding), 0) as bigint)
            as n_before,
        places
    from range($n_blocks)
    left join counted on counted.block = range
)
select * from block
