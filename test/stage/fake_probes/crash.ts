/** A probe whose driver ends the process. */
Deno.kill(Deno.pid, "SIGKILL");
