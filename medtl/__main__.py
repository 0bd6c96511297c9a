from medtl.cli import main

main()
