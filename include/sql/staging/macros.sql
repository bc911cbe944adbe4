-- How a contract's texts are read; staging alone uses these, on DuckDB, where the files are parsed.
-- Control characters have no place in a text, and PostgreSQL and Excel refuse some of them; nor has a byte order mark. At
-- the ends, spaces of any kind and marks without a width go too: nobody sees them, and m1 with one is not another m1.
create or replace macro visible_text(raw) as regexp_replace(
    raw,
    '^[\x00-\x20\x{A0}\x{2000}-\x{200F}\x{2028}-\x{202F}\x{2060}\x{3000}\x{FEFF}]+'
    || '|[\x00-\x20\x{A0}\x{2000}-\x{200F}\x{2028}-\x{202F}\x{2060}\x{3000}\x{FEFF}]+$'
    || '|[\x00-\x08\x0B\x0C\x0E-\x1F\x{FEFF}]',
    '',
    'g'
);

create or replace macro clean_text(raw, missing) as
    case when list_contains(missing, visible_text(raw)) then null else nullif(visible_text(raw), '') end;

-- A code that was taken for a number: 5.3033E+11 as Excel shows a long one (with either decimal mark), whose digits are
-- lost, and NaN, a data frame's mark for none, which would make all rows without a code the same one.
create or replace macro is_lost_code(code) as regexp_full_match(code, '[0-9]([.,][0-9]+)?[eE]\+[0-9]+|nan|NaN|NAN');

-- A number with the declared marks only: 1.234,5 is nothing but an error where thousands were not declared, and so is
-- 33,5 where the comma marks thousands: between two of those marks stand three digits.
create or replace macro read_number(raw, decimal_mark, thousands_mark) as
    case
        when decimal_mark <> '.' and contains(replace(raw, thousands_mark, ''), '.') then null
        when thousands_mark <> '' and contains(raw, thousands_mark) and not regexp_full_match(
            raw,
            '[+-]?[0-9]{1,3}(' || regexp_escape(thousands_mark) || '[0-9]{3})+(' || regexp_escape(decimal_mark) || '[0-9]*)?'
        ) then null
        when not regexp_full_match(
            replace(replace(raw, thousands_mark, ''), decimal_mark, '.'), '[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?'
        ) then null
        -- Beyond 1e11 a figure is no measurement, and would not fit the decimals that reports are rounded in.
        when abs(try_cast(replace(replace(raw, thousands_mark, ''), decimal_mark, '.') as double)) < 1e11
            then try_cast(replace(replace(raw, thousands_mark, ''), decimal_mark, '.') as double)
    end;

-- The text of a figure; a number that is declared to mean "missing" is one however it is written.
create or replace macro clean_figure(raw, missing, missing_figures, decimal_mark, thousands_mark) as
    case
        when len(missing_figures) > 0 and list_contains(
            cast(missing_figures as double[]), read_number(clean_text(raw, missing), decimal_mark, thousands_mark)
        ) then null
        else clean_text(raw, missing)
    end;

-- A number that is kept as one, as the contract would have it written: with its decimal mark, and whole ones without.
create or replace macro float_text(figure, decimal_mark) as
    replace(regexp_replace(cast(figure as varchar), '\.0+$', ''), '.', decimal_mark);

-- A code that is kept as a number with a fraction, 22366.0; a large one is not exact, which is_lost_code is to tell.
create or replace macro float_code(figure, exact_max) as
    case
        when abs(figure) < exact_max then float_text(figure, '.')
        when isfinite(figure) then format('{:E}', figure)
        when figure is not null then 'NaN'
    end;

-- A field of a JSON object; null where it is null or not there.
create or replace macro json_field(record, pointer, decimal_mark) as
    case
        when json_type(record, pointer) in ('DOUBLE', 'UBIGINT', 'BIGINT', 'HUGEINT')
            then float_text(json_extract_string(record, pointer), decimal_mark)
        else json_extract_string(record, pointer)
    end;

-- A code of a JSON object; 5.3033E+11 would arrive as the plain digits 530330000000, so the record's text is asked.
create or replace macro json_code(record, pointer) as
    case
        when json_type(record, pointer) <> 'DOUBLE' or not contains(json_extract_string(record, pointer), '.')
            then json_extract_string(record, pointer)
        when list_contains(
            list_transform(
                regexp_extract_all(record, ':\s*(-?[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]+)\s*[,}]', 1),
                lambda literal: try_cast(literal as double)
            ),
            try_cast(json_extract_string(record, pointer) as double)
        ) then format('{:E}', try_cast(json_extract_string(record, pointer) as double))
        else float_code(try_cast(json_extract_string(record, pointer) as double), 1e15)
    end;

-- A device, from here on known by its keyed hash only: 63 bits, so that of five million devices any two are taken for one
-- with odds of 1 in 700,000.
create or replace macro keyed_hash(device_key, device_id) as
    cast(cast('0x' || left(sha256(device_key || ':' || device_id), 16) as ubigint) >> 1 as bigint);

-- The same measurement: the same id, else the same in every column. 63 bits: of ten million measurements any two are
-- taken for one with odds of 1 in 180,000.
create or replace macro id_hash(measurement_id) as hash('id:' || measurement_id);

create or replace macro measurement_hash(id_hash, row_hash) as cast(coalesce(id_hash, row_hash) >> 1 as bigint);

-- A figure that a parser has read already.
create or replace macro plain_figure(figure, missing_figures) as
    case when len(missing_figures) > 0 and list_contains(cast(missing_figures as double[]), figure) then null else figure end;
