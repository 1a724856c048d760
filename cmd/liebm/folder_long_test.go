//go:build long

package main

import "testing"

func TestThreeCommandsTrainOnAFolderOfLargerPictures(t *testing.T) { fromFolder(t, 64, "medium-em") }
