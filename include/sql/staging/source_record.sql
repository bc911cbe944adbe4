-- grain:  one row per record of one export file, its fields as text, numbered as in the file, its header rows (1 or 0) first
-- inputs: source_text (readable records in file order, from place 1), source_reject (the others, by line); bound: mark
-- rule:   a readable record's number is its place plus the rejected records before it; empty lines count and go
with
rejected as (
    select
        cast(line as bigint) as row_number,
        min(error_message) as reject_message,
        min(csv_line) as reject_text
    from source_reject
    group by line
),
steps as (
    select n_read_before, max(n_rejected) as n_rejected
    from (
        select
            row_number - $header_rows - row_number() over (order by row_number) as n_read_before,
            row_number() over (order by row_number) as n_rejected
        from rejected
    )
    group by n_read_before
),
numbered as (
    select place + $header_rows + coalesce(n_rejected, 0) as row_number, source_text.* exclude (place)
    from source_text asof left join steps on source_text.place - 1 >= steps.n_read_before
),
marked as (
    select * from numbered
    union all by name
    select * from rejected where reject_text <> $mark
),
record as (
    select * replace (replace(reject_text, $mark, '') as reject_text) from marked
)
select * from record
