"""How a task comes into a queue inside Redis: in one script, which no crash can cut in two."""

from __future__ import annotations

from toolkit.work.layout import COMMON, MARK_RUNS

PUT_PLAIN = (
    """
-- stream, totals, counters, prefixes of bodies and of bitmaps; level, result_key, number of tasks, id, slots
-- for mark_runs(), encoded task or its place or parcel
-- What most tasks are: without delay, deadline or limit. By itself, because all that COMMON defines takes
-- twice as long, and Lua takes a nanosecond for every byte it is handed.
local used_prefix = KEYS[5]
"""
    + MARK_RUNS
    + """
local result_key, number, id, body = ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[6]
local before = redis.call('HINCRBY', KEYS[2], ARGV[1], number) - number
if number == 1 then
    redis.call('XADD', KEYS[1], '*', 'i', id, 'r', result_key, 'b', body, 'c', before)
    -- Until now it was to vanish on its own, had its sender died in between.
    if body == '@' then redis.call('PERSIST', KEYS[4] .. id) end
else
    redis.call('XADD', KEYS[1], '*', 'm', body, 'n', number, 'r', result_key, 'c', before)
end
mark_runs(ARGV[5], 1)
redis.call('HINCRBY', KEYS[3], 'enqueued', number)
"""
)

PUT = (
    COMMON
    + """
-- level, delay_ms, lifetime_ms, max_waiting, drop_oldest, result_key, expire_ms, and packed
-- {1, id, slots for mark_runs(), encoded task or place} or, where there is neither delay nor limit, {number
-- of tasks, '', slots, parcel}... All in one: Redis serves others between two reads, and reads it in few.
local level, delay_ms, lifetime_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local max_waiting, drop_oldest = tonumber(ARGV[4]), ARGV[5] == '1'

local function drop_one()
    for level = 3, 1, -1 do
        local first = first_waiting(streams[level])
        if not first_waiting(opened[level]) and first then open(level, first[1], first[2]) end
        local oldest = first_waiting(opened[level])
        if oldest then
            local task = as_table(oldest[2])
            redis.call('XDEL', opened[level], oldest[1])
            forget(task)
            redis.call('HINCRBY', stats, 'dropped', 1)
            tell_dropped(task, 'the queue was full and this was its oldest task', ARGV[7])
            return true
        end
    end
    return false
end

local room = -1
if max_waiting > 0 then room = max_waiting - waiting() end
local expires = lifetime_ms > 0 and tostring(now_ms() + lifetime_ms)
local taken = 0
local items = cmsgpack.unpack(ARGV[8])
for at = 1, #items, 4 do
    if room == 0 and not (drop_oldest and drop_one()) then break end
    if room > 0 then room = room - 1 end
    local number, id, body = items[at], items[at + 1], items[at + 3]
    local fields = {'i', id, 'r', ARGV[6], 'b', body}
    if number > 1 then fields = {'m', body, 'n', number, 'r', ARGV[6]} end
    if expires then with(fields, 'x', expires) end
    mark_runs(items[at + 2], 1)
    -- Until now it was to vanish on its own, had its sender died in between.
    if body == '@' then redis.call('PERSIST', body_prefix .. id) end
    put(level, delay_ms, fields, id, number)
    taken = taken + number
end
set_marks()
redis.call('HINCRBY', stats, 'enqueued', taken)
return taken
"""
)
