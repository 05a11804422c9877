// Pause holds a pod's namespaces open until the pod is stopped.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	stop := make(chan os.Signal, 1)
	// As process 1 it gets no default action for these signals, so without handlers every pod would end by SIGKILL after its grace period.
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	// The kernel reaps orphans itself when the parent ignores SIGCHLD; a pod with a shared process namespace needs that.
	signal.Ignore(syscall.SIGCHLD)
	<-stop
}
