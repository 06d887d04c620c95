# Sidekiq, drained: ruby sidekiq.rb MODE N REDIS-URL POSTGRES. MODE: plain, logged (each handler inserts one row). Adds N jobs, runs the server in this process and prints "jobs/s":
# N over the time between the first and the last handler's end.
return if $started # the server requires this file once more

$started = true
require 'sidekiq'
require 'sidekiq/cli'

Redis.silence_deprecations = true

MODE, COUNT, REDIS, POSTGRES = ARGV[0], ARGV[1].to_i, ARGV[2], ARGV[3]
THREADS = MODE == 'logged' ? 10 : 25
require 'pg' if MODE == 'logged'
Sidekiq.logger.level = Logger::FATAL
[:configure_server, :configure_client].each { |side| Sidekiq.send(side) { |config| config.redis = { url: REDIS, size: THREADS + 5 } } }

class Job
    include Sidekiq::Worker
    LOCK = Mutex.new
    @@seen = 0
    @@first = nil
    INSERT = "insert into automation.execution_logs (tenant_id, queued_at, execution_id, job_id, worker_id, started_at, duration_us, attempt,
        outcome, kind, queue) values ($1, now(), gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), now(), 1, 1, 0, $2, 'default')"
    def log(i)
        connection = Thread.current[:connection] ||= PG.connect(POSTGRES).tap { |c| c.prepare('log', INSERT) }
        connection.exec_prepared('log', [format('be000000-0000-4000-8000-%012x', i % 200), format('bench.k%04d', i * 7 % 2000)])
    end

    def perform(payload)
        log(payload['n'] - 10_000_000) if MODE == 'logged'
        LOCK.synchronize do
            now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
            @@first ||= now
            @@seen += 1
            if @@seen == COUNT
                puts((COUNT / (now - @@first)).round(1))
                $stdout.flush
                exit!(0)
            end
        end
    end
end

payload = { 'couple' => 'Ines and Tomas', 'venue' => 'Quinta da Serra', 'text' => 'x' * 225 }
(0...COUNT).each_slice(1000) do |slice|
    Sidekiq::Client.push_bulk('class' => Job, 'queue' => 'bench', 'args' => slice.map { |i| [payload.merge('n' => 10_000_000 + i)] })
end
cli = Sidekiq::CLI.instance
cli.parse(['-q', 'bench', '-c', THREADS.to_s, '-r', File.expand_path(__FILE__)])
cli.run
