// rclone with what a copy from and to S3 needs: all of its backends take ten times as long to build.
package main

import (
	_ "github.com/rclone/rclone/backend/compress"
	_ "github.com/rclone/rclone/backend/local"
	_ "github.com/rclone/rclone/backend/s3"
	"github.com/rclone/rclone/cmd"
	_ "github.com/rclone/rclone/cmd/copyto"
)

func main() {
	cmd.Main()
}
