"""How the tasks of a queue lie in Redis, and the Lua that all scripts over them share.

The keys of a queue, all built from its name by :func:`keys_of`:

- ``tasks:high``, ``tasks:normal``, ``tasks:low``: streams, one per priority, read by the consumer group
  :data:`GROUP`. What is in hand is pending in the group; what is finished is deleted. An entry is one task:
  ``i`` task id, ``r`` key of the result list ("" for none), ``b`` the encoded task or the place of a big one,
  where there is one ``x`` its deadline (ms of Redis's clock) and ``a`` the attempts made before this entry.
  Or it is a parcel of small tasks: ``m`` their ids and encoded tasks in turn, in msgpack, ``n`` how many, and
  ``r`` and ``x`` for all. Moving a parcel costs Redis as much as moving one task.
  ``c`` counts the tasks put into this stream before.
- ``parts:<stream>:<entry id>``: set of the parts of a parcel in hand that are finished; it goes with it.
- ``opened:high``, ``opened:normal``, ``opened:low``: streams of single tasks, taken before those above: from
  parcels of which somebody wanted less, and what was given back. ``w`` is when the task was put (ms).
- ``orphans``: stream of single tasks, ``l`` their level: the unfinished parts of parcels whose holder died.
- ``delayed``: sorted set of task ids by due time, their entries packed in the hash ``delayed:tasks``.
- ``dead``: stream of tasks that failed for good, with ``l`` level, ``e`` error and ``t`` traceback: the
  newest :data:`KEPT_DEAD`, and fewer when their big tasks have more than :data:`KEPT_DEAD_BYTES`.
- ``stats``: hash of counters by outcome; ``totals``: how many tasks were ever put, by level, and ``dead``,
  the bytes of big tasks among the dead.
- ``results:<sender>``: stream of results for one process; ``r``, some of them in msgpack. It reads them, and
  deletes what it has read when it comes for more.
- ``body:<task id>``: a big task whose place is ``@``.
- ``used:<segment>``: bitmap of the slots in use of a segment of shared memory (:mod:`toolkit.work.arena`); a
  task there has the place ``@<segment>:<slot>:<bytes>``.

Redis's own clock is the only clock, so hosts need not agree on the time.
"""

from __future__ import annotations

GROUP = "workers"
LEVELS = ("high", "normal", "low")
STREAMS = [*(f"tasks:{level}" for level in LEVELS), *(f"opened:{level}" for level in LEVELS), "orphans"]
KEPT_DEAD, KEPT_DEAD_BYTES = 1000, 256_000_000
DEAD_KEY, STATS_KEY, TOTALS_KEY, BODY_KEY, USED_KEY = (len(STREAMS) + place for place in (2, 3, 4, 6, 7))
"""Places in :func:`keys_of` that are used outside the scripts."""

MARK_RUNS = """
-- The same for many slots: packed {segment, first slot, how many, ...}, or "".
local function mark_runs(packed, bit)
    local runs = packed ~= '' and cmsgpack.unpack(packed) or {}
    for at = 1, #runs, 3 do
        local length = runs[at + 2]
        local bits = bit * (2 ^ length - 1)
        redis.call('BITFIELD', used_prefix .. runs[at], 'SET', 'u' .. length, runs[at + 1], bits)
    end
end
"""

COMMON = (
    """
redis.replicate_commands()
-- Streams by number: 1 to 3 as put, 4 to 6 opened, by level; 7 orphans.
local streams = {unpack(KEYS, 1, 7)}
local opened, orphans = {KEYS[4], KEYS[5], KEYS[6]}, KEYS[7]
local delayed, delayed_tasks, dead, stats = KEYS[8], KEYS[9], KEYS[10], KEYS[11]
local totals, parts_prefix, body_prefix, used_prefix = KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local group = 'workers'

local function now_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Whoever reaches this Redis can add entries; what theirs lack is nothing, not an error in a worker.
local function as_table(fields)
    local named = {i = '', r = '', b = 'none', l = '2'}
    for at = 1, #fields, 2 do named[fields[at]] = fields[at + 1] end
    return named
end

local function with(fields, name, value)
    for at = 1, #fields, 2 do
        if fields[at] == name then fields[at + 1] = value; return fields end
    end
    fields[#fields + 1] = name
    fields[#fields + 1] = value
    return fields
end

local function level_of(number, task)
    return number < 7 and (number - 1) % 3 + 1 or tonumber(task.l) or 2
end

local function first_waiting(stream)
    local info = redis.call('XINFO', 'GROUPS', stream)[1] or error('NOGROUP in ' .. stream)
    for at = 1, #info, 2 do
        if info[at] == 'last-delivered-id' then
            return redis.call('XRANGE', stream, '(' .. info[at + 1], '+', 'COUNT', 1)[1]
        end
    end
end

-- The tasks of an entry, each with the fields it would have alone; a parcel that is damaged has none.
local function singles(task)
    if not task.m then
        local fields = {'i', task.i, 'r', task.r, 'b', task.b}
        if task.x then with(fields, 'x', task.x) end
        if task.a then with(fields, 'a', task.a) end
        return {fields}
    end
    local is_good, parts = pcall(cmsgpack.unpack, task.m)
    local all = {}
    for at = 1, is_good and type(parts) == 'table' and #parts or 0, 2 do
        if type(parts[at]) ~= 'string' or type(parts[at + 1]) ~= 'string' then return {} end
        all[#all + 1] = {'i', parts[at], 'r', task.r, 'b', parts[at + 1]}
        if task.x then with(all[#all], 'x', task.x) end
    end
    return all
end

-- Ids alone would not do: those of two streams may be the same.
local function parts_key(number, id)
    return parts_prefix .. number .. ':' .. id
end

local function remove(number, id)
    redis.call('XACK', streams[number], group, id)
    redis.call('XDEL', streams[number], id)
    redis.call('UNLINK', parts_key(number, id))
end

-- To be taken before all others of its level; put_at is its time in ms, or the id of the entry it was in.
local function add_opened(level, fields, put_at)
    redis.call('XADD', opened[level], '*', unpack(with(fields, 'w', string.match(put_at, '^%d+') or 0)))
end

-- Let the tasks of an entry be taken one by one.
local function open(number, id, fields)
    local task = as_table(fields)
    remove(number, id)
    for _, single in ipairs(singles(task)) do add_opened(level_of(number, task), single, task.w or id) end
end

-- Which of these {part, ...} of an entry of so many are finished only now; and whether all are by now.
local function settle(number, id, parts, total)
    local stream, key = streams[number], parts_key(number, id)
    if total == 1 or total == #parts and redis.call('EXISTS', key) == 0 then
        if redis.call('XACK', stream, group, id) == 0 then return {}, false end
        return parts, true
    end
    if #redis.call('XPENDING', stream, group, id, id, 1) == 0 then return {}, false end
    local first = {}
    for _, part in ipairs(parts) do
        if redis.call('SADD', key, part[1]) == 1 then first[#first + 1] = part end
    end
    local is_over = redis.call('SCARD', key) >= total
    if is_over then redis.call('XACK', stream, group, id) end
    return first, is_over
end

-- A slot of shared memory is in use from now on (1) or free (0); other places have none. In bulk, which is
-- the cheap way; set_marks() is to follow.
local marks = {}
local function set_marks()
    for _, command in pairs(marks) do redis.call(unpack(command)) end
    marks = {}
end
local function mark(place, bit)
    local segment, slot = string.match(place, '^@([%w-]+):(%d%d?%d?%d?%d?):')
    if not segment then return end
    local command = marks[segment] or {'BITFIELD', used_prefix .. segment}
    marks[segment] = command
    local last = #command
    command[last + 1], command[last + 2], command[last + 3], command[last + 4] = 'SET', 'u1', slot, bit
    -- Lua hands over at most some thousands at once.
    if last > 4000 then set_marks() end
end

"""
    + MARK_RUNS
    + """
-- A body that lies apart is needed no more.
local function forget_body(id, place)
    if place == '@' then redis.call('UNLINK', body_prefix .. id) else mark(place, 0) end
end
local function forget(task) forget_body(task.i, task.b) end

-- The sender of a task that nobody will do may be waiting for its result.
local function tell_dropped(task, text, expire_ms)
    if task.r == '' then return end
    -- A list of five, as toolkit.work.in_hand makes it.
    local record = '\\149' .. cmsgpack.pack(task.i, nil, 'dropped', text, 0)
    redis.call('XADD', task.r, '*', 'r', cmsgpack.pack({record}))
    redis.call('PEXPIRE', task.r, expire_ms)
end

-- A dead letter gives its slot of shared memory back if its body was brought to Redis.
local function keep_dead_body(fields)
    local task = as_table(fields)
    local size = string.sub(task.b, 1, 1) == '@' and redis.call('STRLEN', body_prefix .. task.i) or 0
    if size > 0 then
        mark(task.b, 0)
        with(fields, 'b', '@')
        redis.call('PERSIST', body_prefix .. task.i)
        redis.call('HINCRBY', totals, 'dead', size)
    end
end
local function remove_dead(id, task)
    redis.call('XDEL', dead, id)
    if task.b == '@' then
        redis.call('HINCRBY', totals, 'dead', -redis.call('STRLEN', body_prefix .. task.i))
    end
end

local function put(level, delay_ms, fields, id, number)
    if delay_ms == 0 then
        with(fields, 'c', redis.call('HINCRBY', totals, level, number or 1) - (number or 1))
        redis.call('XADD', streams[level], '*', unpack(fields))
    else
        redis.call('HSET', delayed_tasks, id, cmsgpack.pack({level, fields}))
        redis.call('ZADD', delayed, now_ms() + delay_ms, id)
    end
end

local function waiting_entries(stream)
    return redis.call('XLEN', stream) - redis.call('XPENDING', stream, group)[1]
end

local function waiting_as_put(level)
    local first = first_waiting(streams[level])
    local total = first and tonumber(redis.call('HGET', totals, level)) or 0
    return first and total - (tonumber(as_table(first[2]).c) or total) or 0
end

local function waiting()
    local number = redis.call('ZCARD', delayed)
    for level = 1, 3 do
        number = number + waiting_as_put(level) + waiting_entries(opened[level])
    end
    return number
end
"""
)


def keys_of(name: str) -> list[str]:
    """The keys every script is given, in the order the scripts expect.

    The braces put all keys of a queue on one node of a Redis cluster.
    """
    parts = [*STREAMS, "delayed", "delayed:tasks", "dead", "stats", "totals", "parts:", "body:", "used:"]
    return [f"toolkit:{{{name}}}:{part}" for part in parts]
