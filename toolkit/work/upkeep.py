"""Scripts that look at a queue or tidy it up; :mod:`toolkit.work.layout` tells how tasks lie in Redis."""

from __future__ import annotations

from toolkit.work.layout import COMMON

_COUNTING = """
local function unfinished(number, id)
    local entry = number <= 3 and redis.call('XRANGE', streams[number], id, id)[1]
    local parts = entry and tonumber(as_table(entry[2]).n) or 1
    return parts > 1 and parts - redis.call('SCARD', parts_key(number, id)) or 1
end
"""

FREE = (
    COMMON
    + _COUNTING
    + """
-- consumer, idle_ms: what a consumer holds counts as silent for so long, so that the next one takes it over
local freed = 0
for number, stream in ipairs(streams) do
    for _, held in ipairs(redis.call('XPENDING', stream, group, '-', '+', 10000, ARGV[1])) do
        redis.call('XCLAIM', stream, group, ARGV[1], 0, held[1], 'IDLE', ARGV[2], 'JUSTID')
        freed = freed + unfinished(number, held[1])
    end
end
return freed
"""
)

LOOK = (
    COMMON
    + _COUNTING
    + """
-- returns waiting (delayed too), in hand, delayed, dead, age of the oldest waiting in ms (-1: none), counters
local pending, oldest, now = 0, -1, now_ms()
for number, stream in ipairs(streams) do
    for _, held in ipairs(redis.call('XPENDING', stream, group, '-', '+', 10000)) do
        pending = pending + unfinished(number, held[1])
    end
    local entry = first_waiting(stream)
    if entry then
        local put_at = tonumber(as_table(entry[2]).w) or tonumber(string.match(entry[1], '^%d+'))
        oldest = math.max(oldest, now - put_at)
    end
end
local counters = redis.call('HGETALL', stats)
return {waiting(), pending, redis.call('ZCARD', delayed), redis.call('XLEN', dead), oldest, counters}
"""
)

SIZE = COMMON + "return waiting()"

CLEAR = (
    COMMON
    + """
-- expire_ms. Only what nobody has taken: tasks in hand are finished by their workers.
local dropped = waiting()
local function drop(fields)
    local task = as_table(fields)
    forget(task)
    tell_dropped(task, 'the queue was cleared', ARGV[1])
end
for _, packed in ipairs(redis.call('HVALS', delayed_tasks)) do drop(cmsgpack.unpack(packed)[2]) end
redis.call('DEL', delayed, delayed_tasks)
for _, stream in ipairs(streams) do
    local entry = first_waiting(stream)
    while entry do
        redis.call('XDEL', stream, entry[1])
        for _, single in ipairs(singles(as_table(entry[2]))) do drop(single) end
        entry = redis.call('XRANGE', stream, '(' .. entry[1], '+', 'COUNT', 1)[1]
    end
end
set_marks()
redis.call('HINCRBY', stats, 'cleared', dropped)
return dropped
"""
)

SETTLE_DEAD = (
    COMMON
    + """
-- requeue ("1") or drop, "*" for all or "" and then task ids...
local is_wanted = {}
for at = 3, #ARGV do is_wanted[ARGV[at]] = true end
local settled = 0
for _, entry in ipairs(redis.call('XRANGE', dead, '-', '+')) do
    local task = as_table(entry[2])
    if ARGV[2] == '*' or is_wanted[task.i] then
        remove_dead(entry[1], task)
        if ARGV[1] == '1' then
            put(tonumber(task.l) or 2, 0, {'i', task.i, 'r', task.r, 'b', task.b}, task.i)
        else
            forget(task)
        end
        settled = settled + 1
    end
end
set_marks()
return settled
"""
)

RETIRE = (
    COMMON
    + """
-- consumer, its result key, ids of the results it has read...
if #ARGV > 2 then redis.call('XDEL', unpack(ARGV, 2)) end
if redis.call('XLEN', ARGV[2]) == 0 then redis.call('UNLINK', ARGV[2]) end
-- Deleting a consumer deletes what it holds; one that still holds something is left for others to take over.
for _, stream in ipairs(streams) do
    if #redis.call('XPENDING', stream, group, '-', '+', 1, ARGV[1]) == 0 then
        redis.call('XGROUP', 'DELCONSUMER', stream, group, ARGV[1])
    end
end
"""
)
