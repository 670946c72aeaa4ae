/**
 * Takes units of jobs out of BullMQ, each unit completely or not at all, in the same way as BullMQ's own scripts remove jobs. A unit is left as it is
 * if one of its jobs has been started, moved or replaced. ARGV: the key of the hash that records taken jobs, and the units as JSON. Returns the ids
 * of the taken jobs.
 */
export const TAKE = `
local taken = {}
local function isThere(j, alone)
  if redis.call('HGET', j.key, 'timestamp') ~= j.timestamp or redis.call('EXISTS', j.key .. ':lock') == 1 then return false end
  if j.children and (redis.call('SCARD', j.key .. ':dependencies') ~= j.children or redis.call('EXISTS', j.key .. ':processed') == 1) then return false end
  if j.state == 'wait' or j.state == 'paused' then
    -- Searches the list. For a single job this is skipped, because its removal searches the list anyway.
    return alone or redis.call('LPOS', j.prefix .. j.state, j.id, 'RANK', -1) ~= false
  end
  return redis.call('ZSCORE', j.prefix .. j.state, j.id) ~= false
end
for _, unit in ipairs(cjson.decode(ARGV[2])) do
  local all = true
  for _, j in ipairs(unit) do all = all and isThere(j, #unit == 1) end
  for _, j in ipairs(all and unit or {}) do
    local removed
    if j.state == 'wait' or j.state == 'paused' then removed = redis.call('LREM', j.prefix .. j.state, -1, j.id)
    else removed = redis.call('ZREM', j.prefix .. j.state, j.id) end
    if removed == 1 then
      local deduplication = redis.call('HGET', j.key, 'deid')
      if deduplication and redis.call('GET', j.prefix .. 'de:' .. deduplication) == j.id then
        redis.call('DEL', j.prefix .. 'de:' .. deduplication, j.prefix .. 'dn:' .. deduplication)
      end
      redis.call('DEL', j.key, j.key .. ':logs', j.key .. ':dependencies', j.key .. ':processed', j.key .. ':failed', j.key .. ':unsuccessful')
      redis.call('XADD', j.prefix .. 'events', '*', 'event', 'removed', 'jobId', j.id, 'prev', j.state)
      redis.call('HSET', ARGV[1], j.mark, '1')
      table.insert(taken, j.mark)
    end
  end
end
return taken`;

/**
 * Takes a job scheduler and its next job out of BullMQ. ARGV: the key of the hash that records taken jobs, the queue's prefix, the scheduler's id,
 * and its id in the hash.
 */
export const TAKE_SCHEDULER = `
local repeatKey = ARGV[2] .. 'repeat'
local millis = redis.call('ZSCORE', repeatKey, ARGV[3])
if not millis then return 0 end
local nextId = 'repeat:' .. ARGV[3] .. ':' .. millis
if redis.call('ZREM', ARGV[2] .. 'delayed', nextId) == 1 then
  redis.call('DEL', ARGV[2] .. nextId, ARGV[2] .. nextId .. ':logs')
  redis.call('XADD', ARGV[2] .. 'events', '*', 'event', 'removed', 'jobId', nextId, 'prev', 'delayed')
end
redis.call('ZREM', repeatKey, ARGV[3])
redis.call('DEL', repeatKey .. ':' .. ARGV[3])
redis.call('HSET', ARGV[1], ARGV[4], '1')
return 1`;
