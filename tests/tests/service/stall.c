// Stops one thread of another process until that process is killed.
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

int main(int count, char **arguments) {
    pid_t thread = count == 2 ? atoi(arguments[1]) : 0;
    int state;
    if (ptrace(PTRACE_SEIZE, thread, 0, 0) || ptrace(PTRACE_INTERRUPT, thread, 0, 0) ||
        waitpid(thread, &state, __WALL) != thread) {
        perror("ptrace");
        return 1;
    }
    puts("stopped");
    fflush(stdout);
    // The process is gone only once its last thread has been waited for.
    while (waitpid(thread, &state, __WALL) == thread && WIFSTOPPED(state)) {
    }
    return 0;
}
